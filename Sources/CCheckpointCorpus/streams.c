/* The C library's standard streams by their own names, for archives of code that is not position-independent, as
 * Debian's libhdf5.a is: they reach for these variables as if they lay in the same library, and now they do.
 * They are pointers to the one and only streams, whose addresses never change. */
struct _IO_FILE;
extern struct _IO_FILE _IO_2_1_stderr_, _IO_2_1_stdout_;

__attribute__((visibility("hidden"))) struct _IO_FILE *stderr = &_IO_2_1_stderr_;
__attribute__((visibility("hidden"))) struct _IO_FILE *stdout = &_IO_2_1_stdout_;
