"""Memory that several threads read and write at a time, with a GIL and without.

Hints are loaded and stored whole, in any order (relaxed): a stale one costs a try, nothing else. They are stored only
where that changes them, since hints of several fds share a cache line. Spare memory is swapped in and out of a slot,
so that no two threads ever have the same; without a GIL each thread has a slot of its own, as a rule, in a cache line
of its own.
"""

from libc.stdint cimport uintptr_t

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdint.h>

    #ifdef Py_GIL_DISABLED
    #define FASTSOCK_HAS_GIL 0
    #define FASTSOCK_SLOTS 512  /* of which every eighth is used, one in a cache line */
    #define fastsock_swap(slot, block) __atomic_exchange_n(slot, block, __ATOMIC_ACQ_REL)
    #else
    #define FASTSOCK_HAS_GIL 1
    #define FASTSOCK_SLOTS 1
    static inline void *fastsock_swap(void **slot, void *block)
    {
        void *before = *slot;
        *slot = block;
        return before;
    }
    #endif

    /* pthread_self() is a call into the C library; the same register can be read in one instruction. */
    #if defined(__GNUC__) && __GNUC__ >= 11 && (defined(__x86_64__) || defined(__aarch64__))
    #define fastsock_this_thread() ((uintptr_t)__builtin_thread_pointer())
    #else
    #define fastsock_this_thread() ((uintptr_t)pthread_self())
    #endif

    /* Threads' addresses differ in their middle bits: Fibonacci hashing brings these to the top. */
    #define fastsock_slot() \\
        (FASTSOCK_HAS_GIL ? 0 : (unsigned)((uint64_t)fastsock_this_thread() * UINT64_C(0x9E3779B97F4A7C15) >> 58) * 8)

    #define fastsock_load(hint) __atomic_load_n(hint, __ATOMIC_RELAXED)
    #define fastsock_store(hint, value) __atomic_store_n(hint, value, __ATOMIC_RELAXED)
    """
    enum:
        HAS_GIL "FASTSOCK_HAS_GIL"
        SLOTS "FASTSOCK_SLOTS"
    uintptr_t this_thread "fastsock_this_thread"() noexcept nogil
    unsigned int slot_of_thread "fastsock_slot"() noexcept nogil
    void *swap "fastsock_swap"(void **slot, void *block) noexcept nogil
    unsigned char load_hint "fastsock_load"(unsigned char *hint) noexcept nogil
    void store_hint "fastsock_store"(unsigned char *hint, unsigned char value) noexcept nogil
