// One synchronous read port, one write port; a read returns the old word on a collision.
// In simulation the rows are loaded at time 0 from <+sram_dir>/<instance path>.hex, if the
// plusarg is given and the file is there; other rows keep what the simulator fills them with.
// Files that hold it can be compiled together; define ZEROSKIP_SRAM_1R1W to use another.
`ifndef ZEROSKIP_SRAM_1R1W
`define ZEROSKIP_SRAM_1R1W
module sram_1r1w #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ABITS = 4
) (
    input  wire             clk,
    input  wire             rd_en,
    input  wire [ABITS-1:0] rd_addr,
    output reg  [WIDTH-1:0] rd_data,
    input  wire             wr_en,
    input  wire [ABITS-1:0] wr_addr,
    input  wire [WIDTH-1:0] wr_data
);
    reg [WIDTH-1:0] rows [0:DEPTH-1];

`ifndef SYNTHESIS
    reg [8*1024-1:0] dir;
    reg [8*2048-1:0] path;
    integer          file;

    initial
        if ($value$plusargs("sram_dir=%s", dir)) begin
            $sformat(path, "%0s/%m.hex", dir);
            file = $fopen(path, "r");
            if (file != 0) begin
                $fclose(file);
                $readmemh(path, rows);
            end
        end
`endif

    always @(posedge clk) begin
        if (rd_en) rd_data <= rows[rd_addr];
        if (wr_en) rows[wr_addr] <= wr_data;
    end
endmodule
`endif
