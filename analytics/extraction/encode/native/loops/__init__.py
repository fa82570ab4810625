"""The loops themselves, for Numba to compile; imported only where no machine code of them is kept (see ``native.machine_code``)."""
