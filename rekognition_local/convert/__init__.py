"""Makes models that no package carries in a form that runs here. Set-up's business; nothing imports it at run time."""
