    // A PE has one memory of activations: there is nothing to find.
    task find_input;
        begin
        end
    endtask

    function [ADDR_BITS-1:0] address(input [15:0] space, input [31:0] row);
        address = row[ADDR_BITS-1:0];
    endfunction

    // Beats of weights: before a run starts as many as there is room for, the others beside it.
    parameter BEAT_ROWS = 1 << 18;
    reg [BEAT_BITS-1:0] weights [0:BEAT_ROWS-1];
    reg [31:0] beat = 0, from = 0, to = 0;
    reg feeding = 0, loaded = 0;
    integer quiet;
    wire moves = weights__valid && weights__ready;
    assign weights__valid = feeding && beat < to;
    assign weights__payload = weights[beat];

    always @(posedge clk) beat <= feeding ? beat + {31'b0, moves} : from;

    task feed(input [31:0] first, input [31:0] count);
        begin
            if (first + count > BEAT_ROWS) begin
                fail("a larger BEAT_ROWS is needed");
                finish;
            end
            if (!loaded) begin
                find("weights.hex");
                $readmemh(path, weights, 0, run[4] - 1);
                loaded = 1;
            end
            from <= first;
            to <= first + count;
            repeat (2) @(posedge clk);
            feeding <= 1;
            @(posedge clk);
            quiet = 0;
            while (quiet < 8) begin
                @(posedge clk);
                quiet = moves ? 0 : quiet + 1;
            end
        end
    endtask

    task find_result;
        feeding <= 0;
    endtask

