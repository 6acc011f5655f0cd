// Testbench of CHIP by itself: a host at its port, which writes what each run needs, starts it, and
// reads what it has made. What it reads, and what the SRAMs hold from the start, is what "zeroskip
// verilog --image IMAGE --input X.npy -o DIR" wrote to DIR/srams, named by +sram_dir=DIR/srams. It
// compares each word of the outputs, and the cycles of each run, and prints PASS or FAIL. Any
// simulator of Verilog-2005 runs it.

module CHIP_tb;
    parameter VECTOR_ROWS = 1 << 20;

    localparam COMMAND = COMMAND_ROW, STATUS = STATUS_ROW, VERSION = VERSION_ROW, CYCLES = CYCLES_ROW;

    reg clk_ = 0, reset = 1;
    integer failures = 0;

    always #5 clk_ = ~clk_;

    // What the runs consist of: version; runs; rows of the vectors; the most cycles that a clearing
    // or a run may take; and a number that is the engine's own.
    reg [63:0] run [0:4];
    wire [31:0] runs = run[1][31:0], rows = run[2][31:0], most = run[3][31:0];
    // For each run a row with its clearing, command and cycles, and one with the words to write, to
    // read, and the first and the number of beats of what streams in; then these words: space, PE
    // and row in 16, 16 and 32 bits, and the value.
    reg [VALUE_BITS+63:0] vectors [0:VECTOR_ROWS-1];

    // The array.
INSTANCE
IDLE
    reg [CMD_BITS-1:0] command = 0;
    reg command_valid = 0;
    assign clk = clk_;
    assign rst = reset;
    assign cmd__payload = command;
    assign cmd__valid = command_valid;
    assign rsp__ready = 1;

    task fail(input [8*64-1:0] why);
        begin
            failures = failures + 1;
            $display("%0s", why);
        end
    endtask

    task finish;
        begin
            if (failures == 0) $display("PASS: %0d runs", runs);
            else $display("FAIL");
            $finish;
            @(posedge clk);
        end
    endtask

    // A command, which is taken when "ready" is high. It changes behind the edge of the clock: of
    // two nonblocking assignments in one step, simulators differ in which holds.
    reg [CMD_BITS-1:0] next;
    task send(input write, input [15:0] space, input [15:0] pe, input [ADDR_BITS-1:0] row,
              input [DATA_BITS-1:0] data);
        begin
            next = 0;
            next[WRITE_FIELD] = write;
            next[SPACE_FIELD] = space[SPACE_BITS-1:0];
            next[PE_FIELD] = pe[PE_BITS-1:0];
            next[ADDR_FIELD] = row;
            next[DATA_FIELD] = data;
            #1 command = next;
            command_valid = 1;
            @(posedge clk);
            while (!cmd__ready) @(posedge clk);
            #1 command_valid = 0;
        end
    endtask

    reg [DATA_BITS-1:0] answer;
    task ask(input [15:0] space, input [15:0] pe, input [ADDR_BITS-1:0] row);
        begin
            send(0, space, pe, row, 0);
            @(posedge clk);
            while (!rsp__valid) @(posedge clk);
            answer = rsp__payload;
        end
    endtask

    // Give a command, and wait until the array is done.
    integer waited;
    task perform(input [31:0] what);
        begin
            send(1, CONTROL_SPACE, 0, COMMAND, {{(DATA_BITS - 32){1'b0}}, what});
            waited = 0;
            while (!running && waited < 100) begin
                @(posedge clk);
                waited = waited + 1;
            end
            while (running && waited < most) begin
                @(posedge clk);
                waited = waited + 1;
            end
            if (running) begin
                fail("the run does not end");
                finish;
            end
        end
    endtask

    reg [8*1024-1:0] dir;
    reg [8*1100-1:0] path;
    integer file, n, word, differ;
    reg [31:0] place, clearing, start, cycles, writes, reads, first_beat, beats;

    task find(input [8*16-1:0] name);
        begin
            $sformat(path, "%0s/%0s", dir, name);
            file = $fopen(path, "r");
            if (file == 0) begin
                $display("%0s is not there", path);
                fail("name the folder srams beside the Verilog by +sram_dir=DIR");
                finish;
            end
            $fclose(file);
        end
    endtask

    // What is this engine's own: find_input and find_result, before words are written, and read;
    // address, of a word's space and row; and feed, which lets beats stream in for a run.
OWN
    // The word of a row of the vectors.
    reg [15:0] space_, pe_;
    reg [31:0] row_;
    reg [VALUE_BITS-1:0] value;
    task take;
        begin
            {space_, pe_, row_, value} = vectors[place];
            place = place + 1;
        end
    endtask

    always begin
        if (!$value$plusargs("sram_dir=%s", dir)) dir = "srams";
        find("run.hex");
        $readmemh(path, run);
        #1;
        if (rows > VECTOR_ROWS) begin
            fail("a larger VECTOR_ROWS is needed");
            finish;
        end
        find("vectors.hex");
        $readmemh(path, vectors, 0, rows - 1);

        repeat (4) @(posedge clk);
        reset <= 0;
        @(posedge clk);
        ask(CONTROL_SPACE, 0, VERSION);
        if (answer[31:0] !== run[0][31:0]) begin
            fail("the vectors are for another array");
            finish;
        end
        place = 0;
        for (n = 0; n < runs; n = n + 1) begin
            take;
            {clearing, start, cycles} = {space_, pe_, row_, value[31:0]};
            take;
            {writes, reads, first_beat, beats} = {space_, pe_, row_, value[63:0]};
            perform(clearing);
            find_input;
            for (word = 0; word < writes; word = word + 1) begin
                take;
                send(1, space_, pe_, address(space_, row_), value[DATA_BITS-1:0]);
            end
            feed(first_beat, beats);
            perform(start);
            find_result;
            differ = 0;
            for (word = 0; word < reads; word = word + 1) begin
                take;
                ask(space_, pe_, address(space_, row_));
                if (answer[WORD_BITS-1:0] !== value[WORD_BITS-1:0]) differ = differ + 1;
            end
            ask(CONTROL_SPACE, 0, CYCLES);
            $display("run %0d: %0d cycles, the model's are %0d; %0d of %0d words differ",
                n, answer[31:0], cycles, differ, reads);
            if (answer[31:0] !== cycles) fail("another number of cycles than the model's");
            if (differ != 0) fail("another output than golden's");
        end
        finish;
    end
endmodule
