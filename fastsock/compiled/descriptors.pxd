"""The method descriptors of the compiled methods: their docstrings, and the class that they belong to.

Docstrings and signatures are the running interpreter's own, else the pure twin's.

The interpreter calls a C method without an argument tuple and a type check only on objects of the very class that its
descriptor belongs to (CALL_METHOD_DESCRIPTOR_*, from 3.11 on). So the class that users get has descriptors of its
own: some 300 user-space instructions fewer per send+recv on 3.11 (bench/instructions.py counts them, with and
without own_methods).
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
    """
    PyObject *new_method "fastsock_new_method"(object cls, object descriptor) except? NULL
    void set_doc "fastsock_set_doc"(object descriptor, const char *doc) noexcept
    const char *raw_doc "fastsock_raw_doc"(object descriptor) noexcept

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


cdef inline int own_methods(type cls, type base) except -1:
    """Give `cls` descriptors of its own for the C methods that it inherits from `base`."""
    cdef PyObject *method
    for name, descriptor in vars(base).items():
        if name.startswith("__") or name in vars(cls):
            continue
        method = new_method(cls, descriptor)
        if method != NULL:
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
