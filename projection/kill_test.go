package projection

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/verbatim-es/verbatim/event"
)

// The log of the killed processes is the same in each of them.
const killEvents = 400

func killLog(t testing.TB) *memory {
	t.Helper()
	m := newMemory()
	m.store = event.ID{7}
	for i := range killEvents {
		sku := strconv.Itoa(i * 7 % 40)
		typ := stocked
		if i%11 == 10 {
			typ = removed
		}
		m.addItem(t, typ, item{SKU: sku, Owner: []string{"ada", "bob", "cleo"}[i%3], Amount: int64(i), Code: "code of " + sku})
	}
	return m
}

const killVariable = "PROJECTION_TEST_KILL" // failpoint, which time, directory

// TestKilledProcess is the process of TestKilled: it dies at a failpoint.
func TestKilledProcess(t *testing.T) {
	point, times, dir := 0, 0, ""
	if n, _ := fmt.Sscanf(os.Getenv(killVariable), "%d %d %s", &point, &times, &dir); n != 3 {
		t.Skip("runs as a process of TestKilled")
	}
	m := killLog(t)
	e := openWith(t, dir, m, func(at failpoint) error {
		if at == failpoint(point) {
			if times--; times == 0 {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
		}
		return nil
	}, items(nil), counts(nil), doubled(nil))
	for range 3 { // there is always something to die in
		agree(t, e, m, killEvents, "items", "counts@1")
		if err := e.At(t.Context(), killEvents, func(*Snapshot) error { return nil }, "counts@2"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(e.Rebuild(t.Context(), "items"), e.Rebuild(t.Context(), "counts@2"),
			e.Switch(t.Context(), "counts", "2"), e.Switch(t.Context(), "counts", "1")); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that is killed between rows, index entries, checkpoint and the key
// that says what is read leaves views that go on as if nothing had happened.
func TestKilled(t *testing.T) {
	t.Parallel()
	times := []int{1, 2, 40}
	if testing.Short() {
		times = times[:2]
	}
	for point := beforeStore; point <= afterRequest; point++ {
		for _, n := range times {
			if point >= beforeSwitch && n > 2 {
				continue
			}
			t.Run(fmt.Sprintf("point %d, time %d", point, n), func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "views")
				for range 2 { // and again, in what was left
					command := exec.Command(os.Args[0], "-test.run=^TestKilledProcess$")
					command.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", killVariable, point, n, dir))
					out, err := command.CombinedOutput()
					var exit *exec.ExitError
					if !errors.As(err, &exit) || !strings.Contains(err.Error(), "killed") {
						t.Fatalf("it was to be killed: %v\n%s", err, out)
					}
				}
				m := killLog(t)
				e := open(t, dir, m, items(nil), counts(nil), doubled(nil))
				agree(t, e, m, killEvents, "items", "counts@1")
				if got := countOf(t, e, killEvents, "counts@2", "bob"); got != 133 {
					t.Errorf("version 2 counted %d", got)
				}
				if err := e.Check(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
