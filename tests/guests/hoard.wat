;; Takes one resource of the host after another and gives none back.
(loop $again (drop (call $sleep (i64.const 1))) (br $again))
