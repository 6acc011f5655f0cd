// One synchronous read port, one write port; a read returns the old word on a collision.
// In simulation the rows are loaded at time 0 from <+sram_dir>/<instance path>.hex, if the
// plusarg is given and the file is there; other rows keep what the simulator fills them with.
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

    always_ff @(posedge clk) begin
        if (rd_en) rd_data <= rows[rd_addr];
        if (wr_en) rows[wr_addr] <= wr_data;
    end
endmodule
