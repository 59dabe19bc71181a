;; Takes five thousand resources of the host and gives none back.
(local $taken i32)
(loop $again
  (drop (call $sleep (i64.const 1)))
  (local.set $taken (i32.add (local.get $taken) (i32.const 1)))
  (br_if $again (i32.lt_u (local.get $taken) (i32.const 5000))))
