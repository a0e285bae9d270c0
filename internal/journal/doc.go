// Package journal makes batches of records durable with one disk barrier each.
//
// A [Journal] is a directory with a few segments: files of one fixed size that
// are filled with zeros when they are made and reused for ever after, so that
// an append changes no file's size and needs no space: it is one write and one
// fdatasync. Making a segment costs writing its size once.
//
// The owner folds what was appended into its log, syncs the log, and only then
// says so with [Journal.Recycle]; from then on a segment that holds nothing
// newer is reused. When every segment is in use, Append fails with [ErrFull]
// until something was folded: a journal never grows without end.
//
// # Guarantees
//
//   - A frame holds a whole batch. When [Journal.Append] returned nil it is
//     found again by [Open] after a crash or a loss of power, until it was
//     recycled.
//   - A frame is never written before the previous one is durable. So after a
//     crash at most one frame is there that nobody acknowledged, and it is the
//     last one, whole; or it is torn, which [Recovered.Cut] reports.
//   - Nothing else is ever recovered: no frame of an earlier use of a segment,
//     of another store, of another place, or with a flipped bit. Damage before
//     the last frame is a [*CorruptError] that names the file and the offset.
//   - A segment that was replayed is never appended to, and nothing is appended
//     before what was replayed has been recycled.
//   - After a failed write or sync nothing is written any more: every Append
//     fails, since what the disk holds is known only when it is read again.
//
// # Caveats
//
// A last frame that was acknowledged and damaged later looks like one that was
// torn by a crash: it is cut, and reported. The journal does not look into
// records; whoever folds them checks them. Its directory must not be used by
// two processes: the store's lock sees to that. On a file system that never
// overwrites in place an append needs space after all, and a full disk is a
// [*FailedError].
//
// # Files
//
// Segments are named 000001.seg, 000002.seg, …; the name says nothing about
// their order. A name that ends in .tmp is a segment that was being made; Open
// removes it. Integers are little-endian, checksums CRC-32C (Castagnoli). A
// segment is a sequence of blocks of 4096 bytes. Its first block begins with
// the segment header, the rest of that block is not used.
//
//	offset  size  segment header
//	     0     4  magic "VBJS"
//	     4     4  checksum of bytes 8 to 72
//	     8     4  format, 1
//	    12     4  state: 1 free, 2 in use
//	    16    16  store id
//	    32     8  generation: random, new at each use
//	    40     8  sequence: greater at each use of any segment
//	    48     8  first: position of the first event of its first frame
//	    56     8  folded: the position up to which the owner had recycled
//	    64     8  size of the file
//
// Frames follow, each at the beginning of a block and directly after the blocks
// of the previous one. What is left of a frame's last block is written as
// zeros; it is not checked.
//
//	offset  size  frame
//	     0     4  magic "VBJF"
//	     4     4  checksum of bytes 8 to 56 + length
//	     8    16  store id
//	    24     8  generation of the segment
//	    32     8  first: position of its first event
//	    40     4  count: number of events, at least 1
//	    44     4  length: bytes of the payload, at least 1
//	    48     4  chain: checksum of the previous frame in this segment,
//	              of the segment header for the first frame
//	    52     4  block: its offset in the file / 4096
//	    56     …  payload: the records, concatenated as they were given
//
// Frames begin at block boundaries so that writing one never touches a block
// that holds an acknowledged one, needs no block read first, and can go past
// the page cache.
//
// # Recovery
//
// Segments in use are ordered by sequence. One whose successor begins at or
// below the position after the log's last is over and is not read. In the
// others frames are followed as long as checksum, store, generation, chain,
// block and position fit. Where that ends, the rest of the segment is searched:
// a whole frame of this generation that the log does not have means damage, and
// so does a successor that begins elsewhere. What is left is the end, or the
// torn last frame. A segment whose header is damaged is free if it holds no
// frame that the log does not have, else that is an error.
package journal
