#ifndef NATIVE_H
#define NATIVE_H

long native_add(long left, long right);
long native_multiply(long left, long right);
long native_power(long base, long exponent);
long native_factorial(long number);

#endif
