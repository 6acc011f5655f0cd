// Testbench of CHIP: a memory behind its port, and a master that runs inferences. It reads what
// "zeroskip system IMAGE --port-bits DATA_BITS --input X.npy -o DIR" wrote, named by +image=DIR; compares
// each output, byte by byte, and with a memory that the models count cycles of, the cycles
// of each inference; and prints PASS or FAIL. Any simulator of Verilog-2005 runs it.

module CHIP_tb;
    // Room for larger networks: 16 MB as it stands.
    parameter MEMORY_BEATS = (1 << 24) / (DATA_BITS / 8);
    parameter VECTOR_BEATS = 1 << 16;

    localparam TIMED = TIMED_VALUE;
    localparam CONTROL = CONTROL_ADDRESS, GIE = GIE_ADDRESS, IER = IER_ADDRESS, ISR = ISR_ADDRESS;
    localparam LIST = LIST_ADDRESS, LIST_BYTES = LIST_BYTES_ADDRESS;
    localparam WINDOW = WINDOW_ADDRESS, WINDOW_BYTES = WINDOW_BYTES_ADDRESS;
    localparam INPUT = INPUT_ADDRESS, OUTPUT = OUTPUT_ADDRESS;
    localparam ERROR = ERROR_ADDRESS, CYCLES = CYCLES_ADDRESS, ARRAY = ARRAY_ADDRESS;

    reg clk = 0, reset = 1;
    reg [31:0] now = 0;
    integer failures = 0;

    always #5 clk = ~clk;
    always @(posedge clk) now <= now + 1;

    // What the run consists of.
    reg [63:0] run [0:15];
    wire [31:0] array_number = run[0][31:0], latency = run[14][31:0];
    wire [31:0] input_at = run[8][31:0], input_beats = run[9][31:0];
    wire [31:0] output_at = run[10][31:0], output_beats = run[11][31:0];
    wire [31:0] inferences = run[12][31:0];
    wire [31:0] base = run[1][31:0];

    // The memory: beats of which the lowest byte has the lowest address. Vectors are, for each
    // inference, a beat with its cycles, its input, and the output that is expected.
    reg [DATA_BITS-1:0] memory [0:MEMORY_BEATS-1];
    reg [DATA_BITS-1:0] vectors [0:VECTOR_BEATS-1];

    // The chip.
INSTANCE
BUS
    // The master.
    task fail(input [8*64-1:0] why);
        begin
            failures = failures + 1;
            $display("cycle %0d: %0s", now, why);
        end
    endtask

    task finish;
        begin
            if (failures == 0) $display("PASS: %0d inferences", inferences);
            else $display("FAIL");
            $finish;
            @(posedge clk);
        end
    endtask

    // Start a list, wait for the interrupt, and leave the list's cycles in "value".
    reg [31:0] limit;
    task start(input [31:0] address, input [31:0] bytes, input [31:0] most);
        begin
            write(LIST, address);
            write(LIST_BYTES, bytes);
            write(CONTROL, 1);
            limit = now + most;
            while (!interrupt && now < limit) @(posedge clk);
            if (!interrupt) begin
                fail("no interrupt came");
                finish;
            end
            read(ISR);
            write(ISR, value);
            read(ERROR);
            if (value != 0) begin
                $display("register ERROR is %h", value);
                fail("the list was abandoned");
                finish;
            end
            read(CYCLES);
        end
    endtask

    integer row, n, differ;
    reg [8*1024-1:0] image;
    reg [8*1100-1:0] path;
    integer file;
    reg [31:0] place, cycles;

    task find(input [8*16-1:0] name);
        begin
            $sformat(path, "%0s/%0s", image, name);
            file = $fopen(path, "r");
            if (file == 0) begin
                $display("%0s is not there", path);
                fail("name by +image=DIR what zeroskip system --input -o wrote");
                finish;
            end
            $fclose(file);
        end
    endtask

DATA
    always begin
        if (!$value$plusargs("image=%s", image)) image = ".";
        find("run.hex");
        $readmemh(path, run);
        #1;
        if (run[2][31:0] / (DATA_BITS / 8) > MEMORY_BEATS
                || inferences * (1 + input_beats + output_beats) > VECTOR_BEATS) begin
            fail("larger MEMORY_BEATS or VECTOR_BEATS are needed");
            finish;
        end
        for (row = 0; row < run[2][31:0] / (DATA_BITS / 8); row = row + 1) memory[row] = 0;
        find("memory.hex");
        $readmemh(path, memory, 0, run[3][31:0] - 1);
        find("vectors.hex");
        $readmemh(path, vectors, 0, inferences * (1 + input_beats + output_beats) - 1);

        repeat (4) @(posedge clk);
        reset <= 0;
        @(posedge clk);
        read(ARRAY);
        if (value !== array_number) begin
            fail("the image is for another array, or another --port-bits");
            finish;
        end
        open_window;
        write(LIST + 4, 0);
        write(IER, 5);
        write(GIE, 1);
        start(run[4][31:0], run[5][31:0], 2 * run[13][31:0] + 100000);
        $display("setup: %0d cycles", value);

        place = 0;
        for (n = 0; n < inferences; n = n + 1) begin
            cycles = vectors[place][31:0];
            give_input(place + 1);
            start(list_at, list_bytes, 2 * cycles + 100000);
            count_differences(place + 1 + input_beats);
            if (TIMED)
                $display("inference %0d: %0d cycles, the model's are %0d; %0d of %0d beats differ",
                    n, value, cycles, differ, output_beats);
            else
                $display("inference %0d: %0d cycles; %0d of %0d beats differ",
                    n, value, differ, output_beats);
            if (TIMED && value != cycles) fail("another number of cycles than the model's");
            if (differ != 0) fail("another output than golden's");
            place = place + 1 + input_beats + output_beats;
        end
        finish;
    end
endmodule
