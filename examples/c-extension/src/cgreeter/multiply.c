#include "native.h"

long native_multiply(long left, long right) {
    long product = 0;
    for (long i = 0; i < right; i++)
        product = native_add(product, left);
    return product;
}
