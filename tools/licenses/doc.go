// Command licenses compares THIRD_PARTY.md with the modules that Verbatim is
// really built from, and gathers their licence texts for a release.
//
//	go -C tools run ./licenses            check, and fail with all that disagrees
//	go -C tools run ./licenses -gather D  check, then copy the texts to D
//
// What is shipped is what the go command says the packages of the module import
// on Linux and macOS, without their tests. A module's licence is what is in its
// licence files: those of the directories between the module's root
// and each imported package, so that code a module has copied from elsewhere is
// seen as well.
package main
