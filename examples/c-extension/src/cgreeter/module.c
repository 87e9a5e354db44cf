#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "native.h"

static PyObject *power(PyObject *self, PyObject *args) {
    long base, exponent;
    (void)self;
    if (!PyArg_ParseTuple(args, "ll", &base, &exponent))
        return NULL;
    return PyLong_FromLong(native_power(base, exponent));
}

static PyObject *factorial(PyObject *self, PyObject *arg) {
    long number = PyLong_AsLong(arg);
    (void)self;
    if (number == -1 && PyErr_Occurred())
        return NULL;
    return PyLong_FromLong(native_factorial(number));
}

static PyMethodDef methods[] = {
    {"power", power, METH_VARARGS, "power(base, exponent)"},
    {"factorial", factorial, METH_O, "factorial(number)"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_native", "Integers, the slow way.", -1, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&module); }
