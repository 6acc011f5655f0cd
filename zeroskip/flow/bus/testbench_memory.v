    // Inputs and outputs lie in the memory, where the list says.
    wire [31:0] list_at = run[6][31:0], list_bytes = run[7][31:0];

    task open_window;
        begin
            write(WINDOW, base);
            write(WINDOW + 4, run[1][63:32]);
            write(WINDOW_BYTES, run[2][31:0]);
            write(WINDOW_BYTES + 4, run[2][63:32]);
        end
    endtask

    task give_input(input [31:0] first);
        for (row = 0; row < input_beats; row = row + 1)
            memory[((input_at - base) >> BEAT_SHIFT) + row] = vectors[first + row];
    endtask

    task count_differences(input [31:0] first);
        begin
            differ = 0;
            for (row = 0; row < output_beats; row = row + 1)
                if (memory[((output_at - base) >> BEAT_SHIFT) + row] !== vectors[first + row])
                    differ = differ + 1;
        end
    endtask

