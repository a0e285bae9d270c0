// Package course is the second worked example: courses have a limited number of
// seats, which is a rule of one stream, and a student may take only so many
// courses, which is a rule across streams.
//
// course.fbs is the whole model. What es generate makes of it is in package
// course below this one; [Registrar] is what is left to write by hand.
package course
