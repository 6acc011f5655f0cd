// Testbench of CHIP by itself: a host at its port, which writes each input, starts a run, and reads
// the output. What it reads, and what the SRAMs hold from the start, is what "zeroskip verilog
// --image IMAGE --input X.npy -o DIR" wrote to DIR/srams, named by +sram_dir=DIR/srams. It compares
// each word of the outputs, and the cycles of each run, and prints PASS or FAIL. Any simulator of
// Verilog-2005 runs it.

module CHIP_tb;
    parameter VECTOR_ROWS = 1 << 20;

    localparam COMMAND = COMMAND_ROW, STATUS = STATUS_ROW, VERSION = VERSION_ROW, CYCLES = CYCLES_ROW;
    localparam CLEAR = CLEAR_VALUE;

    reg clk_ = 0, reset = 1;
    integer failures = 0;

    always #5 clk_ = ~clk_;

    // What the runs consist of: version; runs; words of an input, and of an output; whether the
    // file that was the destination becomes the source; and the most cycles that a run may take.
    reg [63:0] run [0:5];
    wire [31:0] runs = run[1][31:0], inputs = run[2][31:0], outputs = run[3][31:0];
    wire [31:0] most = run[5][31:0];
    // For each run: its command, and its cycles; then words: PE, row, value.
    reg [63:0] vectors [0:VECTOR_ROWS-1];

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

    // A command, which is taken when "ready" is high.
    task send(input write, input [SPACE_BITS-1:0] space, input [15:0] pe, input [ADDR_BITS-1:0] row,
              input [31:0] data);
        begin
            command <= 0;
            command[WRITE_FIELD] <= write;
            command[SPACE_FIELD] <= space;
            command[PE_FIELD] <= pe[PE_BITS-1:0];
            command[ADDR_FIELD] <= row;
            command[DATA_FIELD] <= {{(DATA_BITS - 32){data[31]}}, data};
            command_valid <= 1;
            @(posedge clk);
            while (!cmd__ready) @(posedge clk);
            command_valid <= 0;
        end
    endtask

    reg [31:0] answer;
    task ask(input [SPACE_BITS-1:0] space, input [15:0] pe, input [ADDR_BITS-1:0] row);
        begin
            send(0, space, pe, row, 0);
            @(posedge clk);
            while (!rsp__valid) @(posedge clk);
            answer = rsp__payload[31:0];
        end
    endtask

    // Give a command, and wait until the array is done.
    integer waited;
    task perform(input [31:0] what);
        begin
            send(1, CONTROL_SPACE, 0, COMMAND, what);
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

    reg [FILE_BITS-1:0] source;
    task find_source;
        begin
            ask(CONTROL_SPACE, 0, STATUS);
            source = SOURCE;
        end
    endtask

    reg [8*1024-1:0] dir;
    reg [8*1100-1:0] path;
    integer file, n, word, differ;
    reg [31:0] place, command_of, cycles;

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

    always begin
        if (!$value$plusargs("sram_dir=%s", dir)) dir = "srams";
        find("run.hex");
        $readmemh(path, run);
        #1;
        if (runs * (1 + inputs + outputs) > VECTOR_ROWS) begin
            fail("a larger VECTOR_ROWS is needed");
            finish;
        end
        find("vectors.hex");
        $readmemh(path, vectors, 0, runs * (1 + inputs + outputs) - 1);

        repeat (4) @(posedge clk);
        reset <= 0;
        @(posedge clk);
        ask(CONTROL_SPACE, 0, VERSION);
        if (answer !== run[0][31:0]) begin
            fail("the vectors are for another array");
            finish;
        end
        place = 0;
        for (n = 0; n < runs; n = n + 1) begin
            command_of = vectors[place][63:32];
            cycles = vectors[place][31:0];
            place = place + 1;
            perform(CLEAR);
            find_source;
            for (word = 0; word < inputs; word = word + 1)
                send(1, ACT_SPACE, vectors[place + word][63:48],
                    {source, vectors[place + word][32+:ROW_BITS]}, vectors[place + word][31:0]);
            place = place + inputs;
            perform(command_of);
            find_source;
            if (!run[4][0]) source = source ^ 1;
            differ = 0;
            for (word = 0; word < outputs; word = word + 1) begin
                ask(ACT_SPACE, vectors[place + word][63:48],
                    {source, vectors[place + word][32+:ROW_BITS]});
                if (answer[ACT_BITS-1:0] !== vectors[place + word][ACT_BITS-1:0])
                    differ = differ + 1;
            end
            place = place + outputs;
            ask(CONTROL_SPACE, 0, CYCLES);
            $display("run %0d: %0d cycles, the model's are %0d; %0d of %0d words differ",
                n, answer, cycles, differ, outputs);
            if (answer !== cycles) fail("another number of cycles than the model's");
            if (differ != 0) fail("another output than golden's");
        end
        finish;
    end
endmodule
