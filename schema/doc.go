// Package schema is the model of compiled FlatBuffers schemas as the framework
// uses them: which table is an event, a command, an aggregate's state or a
// view's row, what its parts are called on the wire, and whether bytes are a
// buffer of it.
//
// .fbs files are the source of truth. flatc compiles each to a binary schema
// (.bfbs), which generated code embeds as a [Source]. [Parse] turns one into a
// [Schema], [Load] many into a [Set]. A .bfbs from elsewhere is as welcome: it
// is verified before it is read.
//
// # Attributes
//
// Tables and fields get their meaning from the attributes that es.fbs declares:
//
//	table Account   (aggregate: "account") { … }            // the value is the stream category
//	table Opened    (event)   { owner:string (tag: "owner"); }
//	table Open      (command) { … }
//	table Balance   (view: "balances", version: "1", index: "owner+balance") {
//	    account:string (required, pk); owner:string (index); number:string (unique); balance:long; }
//
// Events and commands belong to the one aggregate of their namespace; where
// there are several, of: "Account" names it. name: "deposited" keeps a table's
// wire name when the table is renamed. Several composite indexes are separated
// by commas. What does not fit together is reported as a [FindingsError].
package schema
