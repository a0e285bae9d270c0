package flatc

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// NoCompilerError says that no C++ compiler was found, and what to do about it.
type NoCompilerError struct {
	Tried []string // the commands that were looked for, in order
}

func (e *NoCompilerError) Error() string {
	install := "install GCC or Clang"
	switch runtime.GOOS {
	case "linux":
		install = "install one (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++; Alpine: apk add g++; Arch: pacman -S gcc)"
	case "darwin":
		install = "install one (xcode-select --install)"
	case "freebsd", "openbsd", "netbsd":
		install = "install one (pkg install llvm)"
	}
	return fmt.Sprintf("no C++ compiler found (tried %s), and flatc has to be built once to generate code: %s, or set CXX",
		strings.Join(e.Tried, ", "), install)
}

// findCXX returns the C++ compiler's command line: $CXX, which may carry
// arguments and is never passed over in favour of another, or the first of the
// usual names.
func findCXX() ([]string, error) {
	if cxx := strings.Fields(os.Getenv("CXX")); len(cxx) > 0 {
		if _, err := exec.LookPath(cxx[0]); err != nil {
			return nil, &NoCompilerError{Tried: []string{"CXX=" + os.Getenv("CXX")}}
		}
		return cxx, nil
	}
	usual := []string{"c++", "g++", "clang++"}
	for _, name := range usual {
		if _, err := exec.LookPath(name); err == nil {
			return []string{name}, nil
		}
	}
	return nil, &NoCompilerError{Tried: usual}
}
