package codegen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// versionsFile names all versions of a history, so that one whose file somebody
// removed is missed, in a checkout without git's history, too.
const versionsFile = "VERSIONS"

const versionsHeader = "# The versions that es generate keeps here, and misses when one is gone.\n"

// listedVersion matches a line of it. Others are passed over: what a merge leaves
// is a list of both sides' versions.
var listedVersion = regexp.MustCompile(`(?m)^[0-9a-f]{16}$`)

func versionsPath(binary string) string {
	return filepath.Join(filepath.Dir(binary), historyDir, versionsFile)
}

// listOf is the list of these versions, by fingerprint, for the binary schema at
// that path.
func listOf(binary string, versions []uint64) File {
	slices.Sort(versions)
	text := []byte(versionsHeader)
	for _, v := range slices.Compact(versions) {
		text = fmt.Appendf(text, "%016x\n", v)
	}
	return File{Path: versionsPath(binary), Content: text}
}

// missing returns a problem for each version that is listed and has no file. Of
// what is in git, the committed list counts as well: a draft that was cleaned away
// is no version. Without a list, which older generators did not write, nothing is
// missed.
func missing(ctx context.Context, f File) (problems Problems, err error) {
	list, err := os.ReadFile(versionsPath(f.Path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	in, err := checkoutOf(ctx, filepath.Dir(f.Path))
	if err != nil {
		return nil, err
	}
	committed := list
	if in != nil {
		if committed, err = in.atHead(ctx, historyDir+"/"+versionsFile); err != nil {
			return nil, err
		}
		if list == nil {
			list = committed
		}
	}
	for _, name := range listedVersion.FindAll(list, -1) {
		path := filepath.Join(filepath.Dir(f.Path), historyDir, string(name)+".bfbs")
		if path == historyPath(f.Path, f.fingerprint) || !bytes.Contains(committed, name) {
			continue
		}
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, Problem{File: f.source.file, Message: path + " is gone, a version that " + versionsFile + " beside it lists",
				Hint: "restore it, as with git checkout, or give up what was written with it by --force"})
		} else if err != nil {
			return nil, err
		}
	}
	return problems, nil
}
