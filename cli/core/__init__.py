"""What every command needs: the stack, its table, the terminal, errors, prices."""
