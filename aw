.globl found
found:
