"""How the cases are measured."""
