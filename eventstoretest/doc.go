// Package eventstoretest is the contract suite of [event.Log]: what a log
// promises, as tests that run on every implementation.
//
//	func TestContract(t *testing.T) {
//		eventstoretest.Run(t, func(t *testing.T) event.Log {
//			store, err := eventstore.Open(t.TempDir(), eventstore.Options{Schemas: eventstoretest.Schema})
//			…
//			return store
//		})
//	}
package eventstoretest
