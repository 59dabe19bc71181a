;; Prints without end.
(local $stderr i32)
(local.set $stderr (call $stderr))
(loop $again
  (call $print (local.get $stderr) (i32.const 8192) (i32.const 4096) (i32.const 7000))
  (br $again))
