#include "native.h"

long native_factorial(long number) {
    long factorial = 1;
    for (long i = 2; i <= number; i++)
        factorial = native_multiply(factorial, i);
    return factorial;
}
