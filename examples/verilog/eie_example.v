// EIE from plain Verilog: what a design of yours does to use the array that
// `zeroskip verilog -o DIR` writes to DIR/eie_array.sv (macros: DIR/eie_array.vh).
//
// After reset it asks for the version, then hands commands of yours through. A command and an
// answer each take a cycle in which both valid and ready are high.
`include "eie_array.vh"

module eie_example (
    input  wire        clk,
    input  wire        rst,
    // Write `data` to row `addr` of `space` (of PE `pe`), or read it.
    input  wire [63:0] data,
    input  wire [23:0] addr,
    input  wire [3:0]  space,
    input  wire [7:0]  pe,
    input  wire        write,
    input  wire        valid,
    output wire        ready,
    output wire [63:0] answer,
    output wire        answer_valid,
    // Version of the interface, once `found` is high.
    output reg  [15:0] version,
    output reg         found,
    output wire        running
);
    reg asked;
    reg [`EIE_CMD__PAYLOAD_BITS-1:0] command;

    always @* begin
        command = 0;
        if (!asked) begin
            command[`EIE_CMD__PAYLOAD_COMMAND_SPACE] = `EIE_SPACE_CONTROL;
            command[`EIE_CMD__PAYLOAD_COMMAND_ADDR] = `EIE_CONTROL_VERSION;
        end else begin
            command[`EIE_CMD__PAYLOAD_COMMAND_DATA] = data;
            command[`EIE_CMD__PAYLOAD_COMMAND_ADDR] = addr;
            command[`EIE_CMD__PAYLOAD_COMMAND_SPACE] = space;
            command[`EIE_CMD__PAYLOAD_COMMAND_WRITE] = write;
            command[`EIE_CMD__PAYLOAD_PE] = pe;
        end
    end

    wire cmd_ready, rsp_valid;
    wire cmd_valid = asked ? valid && found : 1'b1;
    assign ready = cmd_ready && found;
    assign answer_valid = rsp_valid && found;

    always @(posedge clk)
        if (rst) begin
            asked <= 1'b0;
            found <= 1'b0;
        end else begin
            if (cmd_ready) asked <= 1'b1;
            if (asked && rsp_valid && !found) begin
                version <= answer[15:0];
                found <= 1'b1;
            end
        end

    eie_array array (
        .clk(clk),
        .rst(rst),
        .cmd__payload(command),
        .cmd__valid(cmd_valid),
        .cmd__ready(cmd_ready),
        .rsp__payload(answer),
        .rsp__valid(rsp_valid),
        .rsp__ready(1'b1),
        .running(running),
        // Outputs as they are written, for whoever wants to watch.
        .out_valid(),
        .out_pass(),
        .out_row(),
        .out_data()
    );
endmodule
