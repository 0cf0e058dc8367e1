"""What can be set, in one place; the only reader of the environment."""

from flawline.settings.fields import PREFIX, FlawlineSettings
from flawline.settings.loading import SettingsError, load_caller_settings, load_settings

__all__ = ["PREFIX", "FlawlineSettings", "SettingsError", "load_caller_settings", "load_settings"]
