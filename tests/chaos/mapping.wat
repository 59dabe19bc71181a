;; Looks at byte 6 of the body, which is at 72 of the message: `t` traps, `s` skips, `r` rejects, all else is forwarded.
(local $kind i32)
(local.set $kind (i32.load8_u offset=6 (i32.load offset=72 (local.get 0))))
(if (i32.eq (local.get $kind) (i32.const 116)) (then (unreachable)))
(if (i32.or (i32.eq (local.get $kind) (i32.const 115)) (i32.eq (local.get $kind) (i32.const 114)))
  (then
    ;; The case of the verdict, 1 or 3, and a reason whose code and text are the name of the target.
    (i32.store8 (i32.const 264) (select (i32.const 1) (i32.const 3) (i32.eq (local.get $kind) (i32.const 115))))
    (i64.store (i32.const 272) (i64.load (i32.const 512)))
    (i64.store (i32.const 280) (i64.load (i32.const 512)))))
