#include "native.h"

long native_power(long base, long exponent) {
    long power = 1;
    for (long i = 0; i < exponent; i++)
        power = native_multiply(power, base);
    return power;
}
