"""The method descriptors of the compiled methods: their docstrings, and the class that they belong to.

Docstrings and signatures are the running interpreter's own, else the pure twin's.

The interpreter calls a C method without an argument tuple and a type check only on objects of the very class that its
descriptor belongs to (CALL_METHOD_DESCRIPTOR_*, from 3.11 on). So the class that users get has descriptors of its
own: that saves some 300 user-space instructions per send+recv on 3.11, of those that bench/instructions.py counts.

A specialised call checks the type itself. Every other call of a method descriptor goes through the descriptor's
`vectorcall`, which is ours: it hands an object of another class on to the stdlib's method of that name. So
`socket.socket.connect(sock, address)` serves a socket whose class was made from the stdlib's before install().
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

cdef extern from *:
    """
    /* A method descriptor's PyMethodDef is static data of the module that made it, and lives as long as the process. */
    static void fastsock_set_doc(PyObject *descriptor, const char *doc)
    {
        if (Py_IS_TYPE(descriptor, &PyMethodDescr_Type))
            ((PyMethodDescrObject *)descriptor)->d_method->ml_doc = doc;
        else if (Py_IS_TYPE(descriptor, &PyGetSetDescr_Type))
            ((PyGetSetDescrObject *)descriptor)->d_getset->doc = (char *)doc;
    }

    static const char *fastsock_raw_doc(PyObject *descriptor)
    {
        if (Py_IS_TYPE(descriptor, &PyMethodDescr_Type))
            return ((PyMethodDescrObject *)descriptor)->d_method->ml_doc;
        return NULL;
    }

    /* NULL without an exception for what is no method. */
    static PyObject *fastsock_new_method(PyObject *cls, PyObject *descriptor)
    {
        if (!Py_IS_TYPE(descriptor, &PyMethodDescr_Type))
            return NULL;
        return PyDescr_NewMethod((PyTypeObject *)cls, ((PyMethodDescrObject *)descriptor)->d_method);
    }

    static PyObject *fastsock_foreign_methods;  /* by name, for objects of other classes */

    static PyObject *fastsock_call_foreign(
        vectorcallfunc own, PyObject *descriptor, PyObject *const *args, size_t nargsf, PyObject *kwnames)
    {
        PyObject *method = NULL, *result;
        if (PyVectorcall_NARGS(nargsf) > 0 && !PyObject_TypeCheck(args[0], PyDescr_TYPE(descriptor)))
            method = PyDict_GetItemWithError(fastsock_foreign_methods, PyDescr_NAME(descriptor));
        if (method == NULL)
            return PyErr_Occurred() ? NULL : own(descriptor, args, nargsf, kwnames);
        Py_INCREF(method);
        result = PyObject_Vectorcall(method, args, nargsf, kwnames);
        Py_DECREF(method);
        return result;
    }

    /* CPython has one function for each way of passing arguments: so have we, to know which to go on with. */
    #define FASTSOCK_VECTORCALL(way) \\
        static vectorcallfunc fastsock_own_##way; \\
        static PyObject *fastsock_call_##way( \\
            PyObject *descriptor, PyObject *const *args, size_t nargsf, PyObject *kwnames) \\
        { \\
            if (PyVectorcall_NARGS(nargsf) > 0 && Py_IS_TYPE(args[0], PyDescr_TYPE(descriptor))) \\
                return fastsock_own_##way(descriptor, args, nargsf, kwnames); \\
            return fastsock_call_foreign(fastsock_own_##way, descriptor, args, nargsf, kwnames); \\
        }
    FASTSOCK_VECTORCALL(noargs)
    FASTSOCK_VECTORCALL(o)
    FASTSOCK_VECTORCALL(fastcall)
    FASTSOCK_VECTORCALL(keywords)

    static void fastsock_set_foreign(PyObject *descriptor, PyObject *methods)
    {
        PyMethodDescrObject *method = (PyMethodDescrObject *)descriptor;
        Py_XSETREF(fastsock_foreign_methods, Py_NewRef(methods));
        #define FASTSOCK_SET(way) (fastsock_own_##way = method->vectorcall, method->vectorcall = fastsock_call_##way)
        switch (method->d_method->ml_flags & (METH_NOARGS | METH_O | METH_FASTCALL | METH_VARARGS | METH_KEYWORDS)) {
            case METH_NOARGS: FASTSOCK_SET(noargs); break;
            case METH_O: FASTSOCK_SET(o); break;
            case METH_FASTCALL: FASTSOCK_SET(fastcall); break;
            case METH_FASTCALL | METH_KEYWORDS: FASTSOCK_SET(keywords); break;
        }
    }

    /* Calling the class reaches the C function at once, though what the class has as __init__ is Python. */
    static inline void fastsock_inherit_init(PyObject *cls, PyObject *base)
    {
        ((PyTypeObject *)cls)->tp_init = ((PyTypeObject *)base)->tp_init;
    }
    """
    PyObject *new_method "fastsock_new_method"(object cls, object descriptor) except? NULL
    void set_doc "fastsock_set_doc"(object descriptor, const char *doc) noexcept
    const char *raw_doc "fastsock_raw_doc"(object descriptor) noexcept
    void set_foreign "fastsock_set_foreign"(object descriptor, dict methods) noexcept
    void inherit_init "fastsock_inherit_init"(object cls, object base) noexcept

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8(object text) except NULL


cdef inline list borrow_docs(type ours, tuple theirs):
    """For each name of `ours`, take the docstring that the first of `theirs` to have that name has.

    Keep what is returned for as long as the type.
    """
    kept = []
    for name, descriptor in vars(ours).items():
        original = None
        for cls in theirs:
            original = original or getattr(cls, name, None)
        if name.startswith("__") or original is None:
            continue
        if raw_doc(original) != NULL:
            set_doc(descriptor, raw_doc(original))  # with the signature line that precedes the text
            continue
        doc = original.__doc__ or ""
        if callable(original):
            doc = f"{name}({text_signature(original)})\n--\n\n{doc}"
        set_doc(descriptor, PyUnicode_AsUTF8(doc))
        kept.append(doc)
    return kept


cdef inline int own_methods(type cls, type base, dict foreign) except -1:
    """Give `cls` descriptors of its own for the C methods that it inherits from `base`.

    Objects of other classes are served by the methods of the same names in `foreign`.
    """
    cdef PyObject *method
    for name, descriptor in vars(base).items():
        if name.startswith("__") or name in vars(cls):
            continue
        method = new_method(cls, descriptor)
        if method != NULL:
            set_foreign(<object>method, foreign)
            setattr(cls, name, <object>method)
            Py_DECREF(<object>method)
    return 0


cdef inline str text_signature(function):
    """A Python method's parameters, as C's docstrings write them."""
    code = function.__code__
    names = list(code.co_varnames[:code.co_argcount])
    keyword_only = list(code.co_varnames[code.co_argcount:code.co_argcount + code.co_kwonlyargcount])
    defaults = dict(zip(reversed(names), reversed(function.__defaults__ or ()))) | (function.__kwdefaults__ or {})
    written = [f"{name}={defaults[name]!r}" if name in defaults else name for name in names]
    written[0] = "$self"
    written.insert(max(code.co_posonlyargcount, 1), "/")
    if keyword_only:
        written.append("*")
    written += [f"{name}={defaults[name]!r}" for name in keyword_only]
    return ", ".join(written)
