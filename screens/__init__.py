"""One file a screen. Speaks to the core and to widgets, never to an adapter."""
