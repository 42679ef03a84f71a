"""The measuring of the cases."""
