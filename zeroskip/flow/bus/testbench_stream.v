    // Inputs and outputs are packets of streams, as far as addresses behind registers INPUT and
    // OUTPUT, to the end of the address space, go.
    // The list is put behind the memory image.
    wire [31:0] list_at = base + run[2][31:0], list_bytes = run[15][31:0];
    wire [31:0] list_row = run[2][31:0] >> BEAT_SHIFT;
    wire [31:0] list_beats = (list_bytes + DATA_BITS / 8 - 1) >> BEAT_SHIFT;

    task open_window;
        begin
            if (list_bytes == 0) begin
                fail("no stream gives what the network reads: use --top axi");
                finish;
            end
            if (list_row + list_beats > MEMORY_BEATS) begin
                fail("a larger MEMORY_BEATS is needed");
                finish;
            end
            find("stream.hex");
            $readmemh(path, memory, list_row, list_row + list_beats - 1);
            write(WINDOW, 0);
            write(WINDOW + 4, 0);
            write(WINDOW_BYTES, 0);
            write(WINDOW_BYTES + 4, 1);
            write(INPUT, -(input_beats << BEAT_SHIFT));
            write(INPUT + 4, 0);
            write(OUTPUT, -(output_beats << BEAT_SHIFT));
            write(OUTPUT + 4, 0);
        end
    endtask

    // The packet that comes in: a beat whenever one is taken.
    reg given = 0;
    reg [31:0] first_beat, next = 0, last = 0;
    assign s_axis_input_tdata = vectors[next];
    assign s_axis_input_tkeep = {(DATA_BITS / 8) {1'b1}};
    assign s_axis_input_tlast = next + 1 == last;
    assign s_axis_input_tvalid = next != last;

    task give_input(input [31:0] first);
        begin
            if (next != last) fail("the packet before was not taken");
            first_beat <= first;
            given <= 1;
            @(posedge clk);
            given <= 0;
        end
    endtask

    // The packet that goes out, which waits in a cycle of four.
    reg [DATA_BITS-1:0] packet [0:VECTOR_BEATS-1];
    reg [31:0] taken = 0;
    assign m_axis_output_tready = now[1:0] != 0;

    always @(posedge clk) begin
        if (given) begin
            next <= first_beat;
            last <= first_beat + input_beats;
            taken <= 0;
        end
        if (s_axis_input_tvalid && s_axis_input_tready) next <= next + 1;
        if (m_axis_output_tvalid && m_axis_output_tready) begin
            packet[taken] <= m_axis_output_tdata;
            taken <= taken + 1;
            if (m_axis_output_tkeep != {(DATA_BITS / 8) {1'b1}}) fail("TKEEP is not all ones");
            if (m_axis_output_tlast != (taken + 1 == output_beats)) fail("TLAST at the wrong beat");
        end
    end

    task count_differences(input [31:0] first);
        begin
            if (taken != output_beats) fail("the output has another number of beats");
            differ = 0;
            for (row = 0; row < output_beats; row = row + 1)
                if (packet[row] !== vectors[first + row]) differ = differ + 1;
        end
    endtask

