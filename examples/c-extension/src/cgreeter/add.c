#include "native.h"

long native_add(long left, long right) { return left + right; }
