#ifndef CBUILD_H
#define CBUILD_H

/// The commit that the program was built of, as Scripts/build has noted it, with a + behind it where files were changed;
/// empty where nobody has.
const char *cbuild_commit(void);

#endif
