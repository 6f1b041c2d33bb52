/* The one place where the version stands: _VERSION, the User-Agent and a test
 * read it from here. */
#ifndef CLO_VERSION_H
#define CLO_VERSION_H

#define CLO_VERSION "0.1.0"

#endif
