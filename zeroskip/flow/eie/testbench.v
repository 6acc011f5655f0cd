    // Inputs go to the file that is the source; the result is in the one that then is, or, if the
    // program does not swap them, in the other.
    reg [FILE_BITS-1:0] source;
    task find_input;
        begin
            ask(CONTROL_SPACE, 0, STATUS);
            source = SOURCE;
        end
    endtask

    task find_result;
        begin
            find_input;
            if (!run[4][0]) source = source ^ 1;
        end
    endtask

    function [ADDR_BITS-1:0] address(input [15:0] space, input [31:0] row);
        address = space == ACT_SPACE ? {source, row[ROW_BITS-1:0]} : row[ADDR_BITS-1:0];
    endfunction

    // Nothing streams in.
    task feed(input [31:0] first, input [31:0] count);
        begin
        end
    endtask

