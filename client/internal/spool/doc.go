// Package spool keeps what was recorded on disk until it is acknowledged.
//
// It guarantees that a record whose Append returned nil survives the death of
// the process; that damage costs at most the damaged segment's rest, or the week
// whose token it hits, and is counted; that several processes can record into one
// folder and one at a time can send from it; that the folder never holds more
// than its cap, nor anything for more than 30 days after its week or of a week
// that has not come; and that Purge leaves nothing behind that was recorded. It
// does not guarantee survival of a power cut: that would cost a sync for each
// record.
//
// A segment is a batch. Its header fixes everything that a repetition must
// repeat, and nothing is appended once it is sealed:
//
//	0        4        8        12       16                32       36
//	+--------+--------+--------+--------+-----------------+--------+---
//	| "SMS1" | period | policy |   0    |    batch id     | crc32c | frames ...
//	+--------+--------+--------+--------+-----------------+--------+---
//
//	frame:   | length | crc32c | kind | payload |     length counts kind and payload
//	             4        4       1
//
// Numbers are little endian; checksums are CRC-32C (Castagnoli). A segment ends
// at the first frame that is cut off or does not match its checksum; a file that
// is cut between two frames is as good as a shorter one. Every version has this
// header, and seals by nothing but a new name: so an older host ends, expires and
// counts what a newer one wrote, without reading it.
//
// The folder (0700, files 0600):
//
//	<process>.lock             held by a living process (kernel lock)
//	<process>-<n>.open         the segment that it appends to
//	<batch id>.batch           a sealed segment, waiting to be sent
//	<batch id>.bad             one that the collector will never take
//	<week>.token               the random number of this installation and week, crc32c
//	<week>.draw                another one, never sent: what of a week is shown, crc32c
//	<batch id>.sent            one that was acknowledged, for the user to look at
//	<week>.count               how many slices of the week were acknowledged
//	lost.json                  how many events were not kept, by cause
//	lost.lock                  held by the process that adds to those
//	upload.lock                held by the process that sends
//
// <process> is random and never used twice. A segment whose process does not
// hold its lock has no owner: whoever takes that lock may seal it.
//
// Where the file system has no kernel locks, as some network homes, nothing can
// be recorded or sent: Append and Lease fail, and Purge and Expire work. Processes
// that cannot exclude each other would draw two tokens for a week, and would send
// while another one refuses. Where locks hold on one machine only, a folder that
// two machines use at once may do the same.
//
// Writes go through write(2). A mapped file would raise SIGBUS in the host when
// the disk is full.
package spool
