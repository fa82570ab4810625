"""The version of this package: a module of its own, so that whoever names it does not import the package's face."""

__version__ = "0.2.0"
