// The SRAM of sram_1r1w.sv as FPGA memories are: what a read gives that meets a write to its row
// is not known, and memories of SRAM_SINGLE_BITS bits and more have one port for both, at which
// writes come first. Bitstreams and simulated boards are made of this file.
`ifndef SRAM_SINGLE_BITS
`define SRAM_SINGLE_BITS 0
`endif
module sram_1r1w #(
    parameter DEPTH = 16,
    parameter WIDTH = 8,
    parameter ABITS = 4
) (
    input  logic             clk,
    input  logic             rd_en,
    input  logic [ABITS-1:0] rd_addr,
    output logic [WIDTH-1:0] rd_data,
    input  logic             wr_en,
    input  logic [ABITS-1:0] wr_addr,
    input  logic [WIDTH-1:0] wr_data
);
    localparam SINGLE = `SRAM_SINGLE_BITS != 0 && DEPTH * WIDTH >= `SRAM_SINGLE_BITS;

    logic [WIDTH-1:0] rows [0:DEPTH-1];

`ifndef SYNTHESIS
    string dir;
    string path;
    int    file;

    initial
        if ($value$plusargs("sram_dir=%s", dir)) begin
            path = $sformatf("%s/%m.hex", dir);
            file = $fopen(path, "r");
            if (file != 0) begin
                $fclose(file);
                $readmemh(path, rows);
            end
        end
`endif

    generate
        if (SINGLE) begin : single
            logic [ABITS-1:0] addr;
            assign addr = wr_en ? wr_addr : rd_addr;
            always_ff @(posedge clk)
                if (wr_en) begin
                    rows[addr] <= wr_data;
`ifndef SYNTHESIS
                    if (rd_en) rd_data <= 'x;
`endif
                end else if (rd_en) rd_data <= rows[addr];
        end else begin : dual
            always_ff @(posedge clk) begin
                if (rd_en) rd_data <= wr_en && wr_addr == rd_addr ? 'x : rows[rd_addr];
                if (wr_en) rows[wr_addr] <= wr_data;
            end
        end
    endgenerate
endmodule
