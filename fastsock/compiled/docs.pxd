"""Docstrings and signatures of the running interpreter's own methods, given to the methods that replace them."""

from cpython.object cimport PyObject

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
    """
    void set_doc "fastsock_set_doc"(object descriptor, const char *doc) noexcept
    const char *raw_doc "fastsock_raw_doc"(object descriptor) noexcept

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8(object text) except NULL


cdef inline list borrow_docs(type ours, type theirs):
    """For each name of `ours` that `theirs` has too, take its docstring. Keep what is returned for as long as the type."""
    kept = []
    for name, descriptor in vars(ours).items():
        original = getattr(theirs, name, None)
        if name.startswith("__") or original is None:
            continue
        if raw_doc(original) != NULL:
            set_doc(descriptor, raw_doc(original))  # with the signature line that precedes the text
        elif original.__doc__ is not None:
            doc = f"{name}($self, /)\n--\n\n{original.__doc__}" if callable(original) else original.__doc__
            set_doc(descriptor, PyUnicode_AsUTF8(doc))
            kept.append(doc)
    return kept
