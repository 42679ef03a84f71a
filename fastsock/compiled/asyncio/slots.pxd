"""Attributes that a Python class keeps in slots, read by their offset in an object."""

from cpython.object cimport PyObject

cdef extern from *:
    """
    #if PY_VERSION_HEX < 0x030C0000
    #include <structmember.h>  /* PyMemberDef */
    #endif

    static Py_ssize_t fastsock_slot_offset(PyObject *descriptor)
    {
        return Py_IS_TYPE(descriptor, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)descriptor)->d_member->offset : 0;
    }
    #define fastsock_is_instance(object, cls) PyObject_TypeCheck(object, (PyTypeObject *)(cls))
    #define fastsock_slot_value(object, offset) (*(PyObject **)((char *)(object) + (offset)))
    """
    Py_ssize_t slot_offset "fastsock_slot_offset"(object descriptor) noexcept
    bint is_instance "fastsock_is_instance"(object candidate, PyObject *cls) noexcept
    PyObject *slot "fastsock_slot_value"(object holder, Py_ssize_t offset) noexcept
