;; Calls itself without end.
(drop (call $map_message (local.get 0)))
