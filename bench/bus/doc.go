// Bus measures the way from a log to its subscribers: Verbatim's bus, nexus with
// its own transports, NATS, and plain TCP as the limit. Servers and subscribers
// are processes of their own, connected over the loopback interface.
//
//	go -C bench run ./bus fanout -subscribers 1,10,50 -seconds 5 -runs 5
//	go -C bench run ./bus replay -events 1000000 -size 256 -runs 5
//	go -C bench run ./bus latency
//	go -C bench run ./bus idle -sessions 10000
//
// All want an idle machine, and print tables in Markdown.
package main
