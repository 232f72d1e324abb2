from .commands import main

main(prog_name="d2l-rmsprop")
