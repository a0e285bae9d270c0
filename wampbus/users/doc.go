// Package users is a file of those who may use a bus, with what proves that they
// are who they say: hashed tickets, keys derived from passwords for WAMP-CRA,
// public keys for Cryptosign.
//
// A line is a credential: the authid, its roles, the method, the secret.
//
//	ann  commander        ticket      $argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>
//	bob  reader,writer    wampcra     $pbkdf2-sha256$100000$<salt>$<key>
//	eve  admin            cryptosign  <public key, 64 hexadecimal digits>
//
// Blank lines and those that start with # count for nothing. Whoever has several
// methods has several lines. `es user` writes them.
//
//	file, err := users.Open("users", func(err error) { log.Print(err) })
//	bus, err := wampbus.New(wampbus.Options{Log: store, Schemas: store.Schemas(), Users: file})
//
// The file holds no password. It is secret all the same: the key of a wampcra
// line is all that a client needs, as it is for every server of WAMP-CRA.
package users
