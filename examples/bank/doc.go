// Package bank is the worked example: accounts are opened, credited, debited
// and closed, and money moves between two of them in one atomic append.
//
// bank.fbs is the whole model. What es generate makes of it is in account and
// account/accountview; what is left to write by hand is here: which commands
// are allowed ([Teller]) and what the balances view shows ([Balances]).
package bank
