-- Refused while memory is full, since it has no flag to run then: so it tells that there is room.
return 1
