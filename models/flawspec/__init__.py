"""The contract that service and science share: pictures, labels, boxes and artifacts."""
